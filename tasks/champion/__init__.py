"""Stage: a new model beside the best one so far -> which of the two is the champion."""
