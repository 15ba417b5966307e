"""
Every bound in the system: one named constant each, with its reason, in a file for each room.

All are read as names of this package, which is where tests replace them; nobody imports the files.
"""

from modseq.limits.client import *
from modseq.limits.core import *
from modseq.limits.delivery import *
from modseq.limits.fetching import *
from modseq.limits.login import *
from modseq.limits.mime import *
from modseq.limits.mirror import *
from modseq.limits.server import *
from modseq.limits.storage import *
from modseq.limits.tools import *
from modseq.limits.wire import *
from modseq.limits.workqueue import *
