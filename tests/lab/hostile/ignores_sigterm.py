"""Does not end when it is told to."""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
