"""What every TabRL service process shares."""
