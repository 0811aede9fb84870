"""Parts of third_party.py: files that strangers made."""
