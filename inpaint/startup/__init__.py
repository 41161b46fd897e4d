"""What a program does before it loads anything heavy: flags, environment variables and the address to listen at."""
