"""The roster, hand-overs and feeds as rows."""
