"""What must hold of a healthy store: how it is looked at, what is wrong with it, and how that is mended."""
