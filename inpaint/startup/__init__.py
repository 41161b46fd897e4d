"""What a program does before anything heavy is loaded: flags, environment variables, the address to listen at."""
