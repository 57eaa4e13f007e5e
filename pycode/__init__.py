"""The study: its data, models, evaluation and figures.

The machine, `literate`, comes first: it prepares this process and follows what the study reads.
"""

import literate

literate.require_packages()
