"""How much may still go. Decisions are pure; the time is passed in."""
