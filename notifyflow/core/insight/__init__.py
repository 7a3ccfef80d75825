"""What people are shown: views, lists, the timeline, what comes next, and the words for them; pure."""
