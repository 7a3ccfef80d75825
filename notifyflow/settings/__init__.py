"""The settings of every process of notifyflow."""

from notifyflow.settings.kinds import LogFormat as LogFormat
from notifyflow.settings.kinds import LogLevel as LogLevel
from notifyflow.settings.settings import LONGEST_SEND_S as LONGEST_SEND_S
from notifyflow.settings.settings import Settings as Settings
from notifyflow.settings.variables import PREFIX as PREFIX
