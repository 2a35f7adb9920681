mod flood;
