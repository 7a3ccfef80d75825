"""The tables of the metrics: totals, metrics by the minute, and how far the log is counted."""

from peewee import BigIntegerField, FloatField, IntegerField

from notifyflow.storage.tables.fields import CountsField, InstantField, LabelsField, PlainTextField
from notifyflow.storage.tables.table import Table


class MetricTotalRow(Table):
    """The total of one row of a metric since the first start; never deleted."""

    name = PlainTextField()
    labels = LabelsField()
    count = BigIntegerField()
    sum_s = FloatField()
    buckets = CountsField()


class MetricPeriodRow(Table):
    """The count of one row of a metric in one period of a minute or more, for the charts."""

    minutes = IntegerField()
    at = InstantField()
    name = PlainTextField()
    labels = LabelsField()
    count = BigIntegerField()
    sum_s = FloatField()
    buckets = CountsField()


class RollupRow(Table):
    """How far the log is counted; one row."""

    one = IntegerField(primary_key=True)
    xid = BigIntegerField()
    line_id = BigIntegerField()
    after_id = BigIntegerField()
    rolled_up_at = InstantField(null=True)
