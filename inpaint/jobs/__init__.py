"""Jobs: a worker, its queue, what a job does as plain data, and where it is done."""
