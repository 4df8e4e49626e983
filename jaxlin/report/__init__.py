"""Results for people: tables and pictures, as pure functions of what was found.

Nothing here computes, prints or reads; `tables` gives objects of rich, `plots` figures of
matplotlib. Both libraries are loaded with these modules, and with nothing else of the package.
"""
