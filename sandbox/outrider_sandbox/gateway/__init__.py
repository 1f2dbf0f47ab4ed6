"""The card gateway: cards, tokens and ACH debits over JSON or forms (`rooms`), and the books behind them."""
