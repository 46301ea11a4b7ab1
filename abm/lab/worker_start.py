"""Imported by each worker process of this machine when it starts.

Ctrl-C in a terminal reaches every process of the command. The one that was started by hand ends the workers in an orderly way;
they themselves must not complain meanwhile.
"""

import signal
import threading

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
