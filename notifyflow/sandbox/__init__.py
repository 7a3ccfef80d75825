"""Stand-ins for the providers on loopback: real servers, scripted faults, an inbox page; nothing leaves the machine."""

from notifyflow.sandbox.system import Sandbox as Sandbox
