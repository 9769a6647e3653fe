"""The contestants of recurrence.py. Importing the modules registers them in the order of the table."""
