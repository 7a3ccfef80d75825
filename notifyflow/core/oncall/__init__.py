"""Who is on duty: the directory, schedules, calendars, overrides, hand-overs and feeds; pure."""
