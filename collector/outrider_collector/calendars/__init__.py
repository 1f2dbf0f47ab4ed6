"""Calendars of maintenance (iCalendar), in and out.

`source` has one's bytes, `lines` its events, `reading` what it says of each window, `importing` makes versions of
windows of that; `schedule` does it at an interval, `api` over HTTP. `writing` makes a calendar of the windows.
"""
