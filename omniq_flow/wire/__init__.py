"""What may go over the wire: names, strict JSON, and codecs by type. No Redis in sight."""
