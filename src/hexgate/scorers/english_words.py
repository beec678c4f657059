"""Common English words, to tell English from the other languages in Latin letters."""

from __future__ import annotations

__all__ = ["ENGLISH", "SHARED"]

ENGLISH = frozenset(
    """
    able about above abroad absolutely across add added adds advice afraid after afternoon again against
    ago agree agreed agrees allow allowable allowed allows almost alone along already although always
    amazing american among amount and angry animals annoying another answer answered answers any anybody
    anyone anything anytime anyway anywhere apart apologies apologize apology apple apples apply
    appreciate are arent army around ask asked asking asks assist assistance ate author autumn available
    avoid away awesome back badly bag bake baked baking based beach beautiful became because become
    becomes bedroom bedtime been before began begin beginning begins behind being believe believed below
    beside besides better between beyond bicycle big bigger biggest bike bill bird birds birthday black
    blame blood blue boat boats body boil boiled boils bone bones book books born both bother bothered
    bottom bought bowl boy boys brave bread break breakfast breaks bright bring brings british broke
    broken brother brought brown build building builds built business busy buy buys call called calls
    calm came cannot cant careful carried carries carry cat cats cause causes certainly change changed
    changes chapter cheap cheaper checks cheers cheese child children china chinese choice choices
    choose chop chopped chose chosen circle cities citizen citizens city class classes clean clearly
    climate clock clocks close closed closely closes cloth clothes cloud clouds cloudy coat coffee cold
    colour colours comes coming common company compare compared comparing computers computing
    congratulations consider content cook cooked cooking cooks corner correct costs could council
    counted counting countries country counts covered covers cow cows creates crowd cup customer
    customers cut cuts cutting danger dangerous dark daughter day days dead dear death debt decrease
    decreased deep deeply definitely degrees depend depends described desk dictionary did didnt died
    different dinner dirty disagree discuss disease doctors does doesnt dog dogs doing done dont
    downstairs draw draws dress drew drinking drive driver drives driving drop drops drought drove
    during each ear earlier early earn earned ears earth easier easily east eastern easy eat eaten
    eating eats edge egg eggs eight either election eleven else email employee employees empty end ended
    ends engine engines england english enjoy enjoyable enjoyed enough european evening ever every
    everybody everyone everything everywhere exactly example examples excited exciting expensive explain
    explained explains eye eyes fact facts falls false family fantastic faster fastest father fault fear
    fears feature features february feel feeling feelings feels feet fell felt few field fields fifty
    figure files fill finally find finding finds finish finished fire first fish five fix fixed flew
    flies flood floor flower flowers fly focused follow followed following follows food foods foot
    forest forget forgive forgiven forgot forgotten fork forty found free french friday friend friends
    from front full fully funny game garden gardens garlic gentle german get gets getting girl girls
    given giving glad glass goal goals goes going gone good goodbye goods got gotten government
    grandfather grandmother grass gray great green greetings grew grey grow growing grown grows guess
    guest guests habits hair hands happen happened happens happy harder hardly harm harmful hate hateful
    having head heading health healthcare healthy hear heard hears heart heat heated heavily heavy
    height hello help helped helpful helpfully helping helps here hers hide high higher highest highly
    hill him himself his holds holiday holidays home honest hope hopes hoping horse horses hour hours
    house houses how however hundred hungry hurt hurts husband ideas if illness im improve improved
    improvement improves includes including incorrect increase increased indeed insect insects inside
    instead interested interesting into isnt italian itself ive jacket january japanese jobs join joke
    jokes journey july june just keep keeping keeps kept key keyboard keys kindly kinds king kingdom
    kitchen knew knife know knowing knowledge known knows lake language languages large larger largest
    laugh law laws leaf learn learned learning learns least leave leaves leaving left legs lemon length
    less let lets letters lies like liked likely line lines listen listening little lived lives living
    loan london longer longest look looked looking looks loses lost loud louder love loved lovely loves
    loving low lower lowest lunch made mainly make makes making manager many march maybe meal meals mean
    meaning means meant meanwhile measure measured measures meat medicine meet meeting meets mend
    mentioned metal middle might milk million minister mistake mistakes mix mixed monday money month
    months moon moreover morning mostly mother mountain mountains mouse mouth moved moves movie movies
    moving much music must names narrow nearby nearly need needed needs neighbor neighbors neighbour
    neighbours neither network never new newer newest next night nights nine nobody noise noisy none
    nope north northern nose not nothing novel novels nowhere number numbers nurse october off offer
    offers often old older oldest ones onion onions only onto opened opens opinion ordinary other others
    otherwise our ours ourselves out outside oven own owned owner paid paper pardon parents peace peel
    pencil people perfect perfectly perhaps phones pick picked picks piece pieces places plane planning
    plans plate play played player playing plays please points polite poor power powerful practise
    prefer president pretty previous price prices prime probably problems professor proud provide
    provided provides pulls put puts queen questions quick quickly quiet quite rain rainy raise raised
    ran rather reach read reader reading reads ready really reason reasons receive received recipe
    reduce reduced related release released remain remains remember repair replies reply request
    requests required research respectful results rice ride right rise rises river road roof rooms rope
    rule rules run running runs sad safe safely said same saturday save saved saves saw saying says
    scared schools seconds seed seeds seeing seem seems seen sees sell sells sends sent sentence
    sentences served setting seven several shall shallow shape share shared shares she sheep shelf ship
    ships shirt shoes shop shops short shorter shortest should showed shown sick simply since sister
    sits skill skills skin sky sleep sleeps slept slice sliced slow slower slowly small smaller smallest
    snow snowy socks soft soil sold some somebody somehow someone something sometimes somewhere song
    songs soon sorrow sorry sorts sounds soup south southern spaces spanish speak speaking speaks spell
    spelling spend spent split spoke spoken spoon spread spreads spring square stars started starting
    starts states stay stayed stays step steps stir stone stones stood stopped stops stories story
    strange street strength strong students studies study such suddenly suggest suggests summer sun
    sunday sunny suppose sure symptoms tail take taken takes taking talk talking talks task tasks taught
    tax tea teach teacher teachers teaches tell telling tells tested testing tests than thank thankful
    thanks that the their theirs them then there therefore these they thick thin thing things think
    thinking thinks third thirsty thirty this those though thought thoughts thousand three threw through
    throughout throw throws thursday tired today together told tomorrow too took tool tools topic topics
    toward towards town towns trade train training travel travels tree trees tried tries trip trousers
    true truly trust trusted truth truthful try trying tuesday turn turned turns twelve twenty twice
    types ugly unable understand understanding understood unfortunately unknown unless until up upon
    upset upstairs us used useful using usually vegetable vegetables very visit visits vote voted votes
    wait waiting waits wake walk walked walking walks wall walls wanted wants warmth warning wasnt watch
    watched watches watching way ways weak wealth wear wears weather wednesday weeks weigh weighs weight
    welcome well went were west western what whatever when whenever where whether which while white who
    whole whom whose why wide widely width wife window windows windy wins wish wishes with within
    without woman women wonderful wont wood wooden words wore work worked worker workers working works
    world worried worries worry worse would write writer writes writing written wrong wrote yeah year
    years yellow yes yesterday yet you young younger youngest your youre yours yourself
    """.split()  # noqa: SIM905 - a list of a thousand words is read as text
)
"""Words that are common in English, and hardly ever words of the languages around it."""

SHARED = frozenset(
    """
    a all also am an as at be best but by bye can come cool data do even fine for go had has have he her
    hey hi hmm i in is it its may me men mine more most my nice no of oh ok okay on one option options
    or over pan problem see so still super ten test time to two under use version want war was we will
    wow
    """.split()  # noqa: SIM905 - as above
)
"""Words that are common in English and in some language around it: they speak for neither."""
