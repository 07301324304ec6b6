"""The wire that CoinFLEX and Coinfloor share; each venue's module declares what differs."""
