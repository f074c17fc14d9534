"""What the machine has: devices, precision of products, compiled programs that are kept."""
