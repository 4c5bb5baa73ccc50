"""What training adds to a user's callbacks, one file each."""
