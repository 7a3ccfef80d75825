"""The tables of the figures: totals, figures by the minute, and how far the log is counted."""

from peewee import BigIntegerField, FloatField, IntegerField

from notifyflow.storage.tables.fields import CountsField, InstantField, LabelsField, PlainTextField
from notifyflow.storage.tables.table import Table


class SeriesRow(Table):
    """The total of one row of a figure since the first start; never deleted."""

    name = PlainTextField()
    labels = LabelsField()
    count = BigIntegerField()
    sum_s = FloatField()
    buckets = CountsField()


class MinuteRow(Table):
    """The count of one row of a figure in one period of a minute or more, for the charts."""

    minutes = IntegerField()
    at = InstantField()
    name = PlainTextField()
    labels = LabelsField()
    count = BigIntegerField()
    sum_s = FloatField()
    buckets = CountsField()


class FoldRow(Table):
    """How far the log is counted; one row."""

    one = IntegerField(primary_key=True)
    xid = BigIntegerField()
    line_id = BigIntegerField()
    after_id = BigIntegerField()
    folded_at = InstantField(null=True)
