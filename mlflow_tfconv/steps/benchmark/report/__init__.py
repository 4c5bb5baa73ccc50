"""What people see of a benchmark."""
