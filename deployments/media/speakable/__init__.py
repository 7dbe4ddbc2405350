"""From written text to what a voice says: numbers, dates, money, units, addresses, marks and pictures in words."""
