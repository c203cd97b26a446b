"""What people see of a run: on a terminal, as plain lines, as events."""
