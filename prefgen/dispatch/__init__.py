"""What stands between the steps and the engines: who is asked what, and when; the only writer of responses."""
