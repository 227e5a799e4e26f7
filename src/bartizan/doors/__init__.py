"""How does the world get in?"""
