"""When what is sent: plans, made before a load and the same wherever they are made."""
