"""Recognition on images: find the faces, cut them out as FER-2013 does, and classify their emotions."""
