"""Text -> latents -> image: the request, the page that carries it out, and the pictures it makes."""
