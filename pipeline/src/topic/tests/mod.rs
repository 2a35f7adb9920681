mod sizes;
