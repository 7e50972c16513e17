// Its precompiled header is what it is for.
