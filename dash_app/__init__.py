"""The control room: Dash pages inside Django, fed live over websockets."""
