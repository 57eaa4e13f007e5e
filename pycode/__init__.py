"""The study: its data, models, evaluation and figures.

`literate`, the machine, is imported first: it prepares this process and follows what the study
reads.
"""

import literate

literate.require_packages()
