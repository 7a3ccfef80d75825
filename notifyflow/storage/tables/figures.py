"""The tables of the figures: what was counted in all, by the minute, and up to which line of the log."""

from peewee import BigIntegerField, FloatField, IntegerField

from notifyflow.storage.tables.fields import CountsField, InstantField, LabelsField, PlainTextField
from notifyflow.storage.tables.table import Table


class SeriesRow(Table):
    """What one row of a figure has counted since the first start; never deleted."""

    name = PlainTextField()
    labels = LabelsField()
    count = BigIntegerField()
    sum_s = FloatField()
    buckets = CountsField()


class MinuteRow(Table):
    """What one row of a figure has counted in one minute, or in some, for the charts."""

    minutes = IntegerField()
    at = InstantField()
    name = PlainTextField()
    labels = LabelsField()
    count = BigIntegerField()
    sum_s = FloatField()
    buckets = CountsField()


class FoldRow(Table):
    """Up to where the lines of the log are counted; one row."""

    one = IntegerField(primary_key=True)
    xid = BigIntegerField()
    line_id = BigIntegerField()
    after_id = BigIntegerField()
    folded_at = InstantField(null=True)
