"""A study without scikit-learn or seaborn, which take longer to import than a small build."""

import literate

literate.require_packages()
