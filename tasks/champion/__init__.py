"""Champion stage: decides whether a new model or the previous best one is the champion of its dataset."""
