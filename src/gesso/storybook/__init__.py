"""The built-in model: a picture-book world of shapes, its captions, and weights learned from them."""
