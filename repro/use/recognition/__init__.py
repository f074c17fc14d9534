"""Use of a trained network on pictures: find the faces, cut them out as FER-2013 does, and tell their emotions."""
