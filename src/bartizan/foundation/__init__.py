"""What everything is made of. The foundation knows no capability."""
