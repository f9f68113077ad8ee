"""The suite against every fault: which test notices which."""
