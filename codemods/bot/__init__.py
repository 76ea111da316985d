"""The bot: it opens pull requests and keeps them up. What to do is planned purely, then delivered."""
