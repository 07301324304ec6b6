"""What tests of trading programs need: simulated venues, a memory connector, fixtures."""
