"""What measures speed and size. Never part of the tests: an absolute time on a shared machine proves little."""
