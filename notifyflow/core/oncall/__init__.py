"""The directory, schedules, calendars, overrides, hand-overs and feeds; pure."""
