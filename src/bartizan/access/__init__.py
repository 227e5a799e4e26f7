"""Who is it, and may they?"""
